"""Files become a validated model: read, template, merge, check, expand."""
