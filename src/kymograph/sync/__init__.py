"""What goes from one computer to another: a mirror pulls recordings while they are made."""
