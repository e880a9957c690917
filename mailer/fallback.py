"""What a mail says when it cannot be rendered: fixed text in both languages, and no template.

It tells that something happened and where to look, and nothing of what: whatever broke the mail
must not break this too. Foreign words stay out of it for the same reason.
"""

from mailer.contents import Content
from schemas.events import PaymentEvent, PaymentStatusUpdated
from schemas.vocabulary import PaymentStatus

_KNOWN = frozenset(status.value for status in PaymentStatus)

_SUBJECT = "Zahlungsstatus: {status} / Payment status: {status}"
_TEXT = """\
Zahlungsstatus: {status}

Bei einer Ihrer Zahlungsdateien gibt es etwas Neues. Die ausführliche
Nachricht konnte nicht erstellt werden. Bitte sehen Sie im Portal nach,
bevor Sie etwas unternehmen; reichen Sie die Datei nicht ungeprüft neu ein.

Payment status: {status}

There is news about one of your payment files. The detailed message could
not be made. Please look in the portal before you do anything; do not
submit the file again unchecked.
"""
_HTML = """\
<!DOCTYPE html>
<html lang="de">
<head><meta charset="utf-8"><title>Zahlungsstatus</title></head>
<body>
<h1>Zahlungsstatus: {status}</h1>
<p>Bei einer Ihrer Zahlungsdateien gibt es etwas Neues. Die ausführliche Nachricht konnte nicht
erstellt werden. Bitte sehen Sie im Portal nach, bevor Sie etwas unternehmen; reichen Sie die Datei
nicht ungeprüft neu ein.</p>
<h1 lang="en">Payment status: {status}</h1>
<p lang="en">There is news about one of your payment files. The detailed message could not be made.
Please look in the portal before you do anything; do not submit the file again unchecked.</p>
</body>
</html>
"""


def fallback_content(event: PaymentEvent) -> Content:
    """Return a mail's fallback: the platform's code of the status, if it is one, and fixed text."""
    code = event.status if isinstance(event, PaymentStatusUpdated) else PaymentStatus.KON_REJECTED
    status = code if code in _KNOWN else "?"
    return Content(
        subject=_SUBJECT.format(status=status),
        text=_TEXT.format(status=status),
        html=_HTML.format(status=status),
        default_subject=False,
    )
