"""What phones ask for: getting in, registering, leaving files. The answers' wire form is webapp/phone's."""
