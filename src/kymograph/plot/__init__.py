"""Pictures of what was recorded: PNG and SVG for a report, a page that opens anywhere to zoom in.

Rows of a recording or of any file become tracks (reduced, peaks kept), tracks become panels, and panels are
drawn. Only the process that draws imports this room.
"""
