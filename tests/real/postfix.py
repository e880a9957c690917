"""Debian's Postfix on loopback, with its own configuration, queue and mailbox; nothing leaves it.

The package is only needed for its programs: no service of the machine is touched. Postfix starts as
root and drops its rights itself, so without root it is left out.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.real import found
from tests.real.found import LeftOut
from tests.real.parts import start_or_leave_out
from tests.real.processes import Process
from tests.real.waiting import LOOPBACK, free_port, listens, wait_until
from tests.smtp_fake import CERTIFICATE, KEY

DOMAIN = "muster.example"  #: mails to it arrive in the mailbox
BOUNCE_DOMAIN = "bounce.push.example"  #: these too
BOUNCING = "bouncing.example"  #: mails to it are taken and then bounce: 5.1.1
PATIENCE = 60.0  # seconds
#: Programs that belong to root and the package's users, as Debian has them.
DAEMONS = Path("/usr/lib/postfix/sbin")

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = {host}
inet_protocols = ipv4
myhostname = mta.push.example
mydestination =
mynetworks = {host}/32
alias_maps =
alias_database =
virtual_mailbox_domains = {domain} {bounce_domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{group}
virtual_minimum_uid = 1
relay_domains = {bouncing}
transport_maps = inline:{{{bouncing}=bouncing:}}
default_transport = error:nothing leaves this machine
notify_classes =
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_tls_security_level = may
smtpd_tls_chain_files = {folder}/both.pem
"""
#: A line says name, type, private, unprivileged, chroot, wakeup, most and command: master(5).
_MASTER = """\
{host}:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
bouncing unix - n n - - virtual -o virtual_mailbox_maps=inline:{{nobody@nowhere.example=box/}}
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running Postfix."""

    port: int
    master: Process
    folder: Path
    host: str = LOOPBACK

    def mails(self) -> Sequence[bytes]:
        """Return the mails in the mailbox, as they lie there."""
        files = sorted((self.folder / "mail/box/new").glob("*"))
        return [file.read_bytes() for file in files]

    def wait_for(self, text: bytes, count: int = 1, within: float = PATIENCE) -> Sequence[bytes]:
        """Return the mails that hold the text once there are so many."""

        def there() -> bool:
            return sum(text in mail for mail in self.mails()) >= count

        wait_until(there, f"{count} mails with {text!r} in the mailbox", within)
        return [mail for mail in self.mails() if text in mail]

    def heal(self) -> None:
        """Do nothing: no test breaks it."""

    def end(self) -> None:
        """Leave nothing of it."""
        self.master.end()


def start_postfix() -> Postfix:
    """Start it, or raise `LeftOut` with the reason."""
    program = found.postfix()
    if program is None or not (DAEMONS / "master").exists():
        raise LeftOut("Postfix is not installed (make system-packages)")
    if os.geteuid() != 0:
        raise LeftOut("Postfix starts as root only")
    folder, port = Path(tempfile.mkdtemp(prefix="push-postfix-")), free_port()
    _set_up(folder, port)
    checked = subprocess.run(
        [program, "-c", str(folder / "config"), "check"], capture_output=True, check=False
    )
    if checked.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise LeftOut(f"Postfix refuses its configuration: {checked.stderr.decode().strip()}")
    master = Process(
        command=[DAEMONS / "master", "-c", folder / "config", "-d"],
        folder=folder / "run",
        belongings=folder,
    )
    postfix = Postfix(port, master, folder)

    def start() -> None:
        master.start()
        wait_until(lambda: listens(port), "Postfix listens", PATIENCE)

    start_or_leave_out(master, start)
    return postfix


def _set_up(folder: Path, port: int) -> None:
    """Write the configuration, and folders that Postfix' own users can reach."""
    folder.chmod(0o755)
    for name in ("config", "queue", "data", "mail", "run"):
        (folder / name).mkdir()
    owner, reader = pwd.getpwnam("postfix"), pwd.getpwnam("nobody")
    os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
    os.chown(folder / "mail", reader.pw_uid, reader.pw_gid)
    key = folder / "both.pem"
    key.touch(0o600)
    key.write_text(KEY + CERTIFICATE)
    names = {
        "folder": folder,
        "host": LOOPBACK,
        "port": port,
        "domain": DOMAIN,
        "bounce_domain": BOUNCE_DOMAIN,
        "bouncing": BOUNCING,
        "user": reader.pw_uid,
        "group": reader.pw_gid,
    }
    (folder / "config/main.cf").write_text(_MAIN.format(**names))
    (folder / "config/master.cf").write_text(_MASTER.format(**names))
