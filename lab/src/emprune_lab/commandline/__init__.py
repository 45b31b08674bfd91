"""The command line: options, commands, what a person sees, what is written at the end."""
