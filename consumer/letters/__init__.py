"""Dead letters after the fact: read, chosen, shown, and put back to where they came from."""
