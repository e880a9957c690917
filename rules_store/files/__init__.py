"""The rules file: YAML that says what rules tenants have, read strictly and written back."""
