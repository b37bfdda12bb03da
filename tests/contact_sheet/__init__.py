"""Pictures of every page of the portal on one sheet, to be looked at: `python -m tests.contact_sheet FOLDER`."""
