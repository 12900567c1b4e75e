"""What decides: the station over its instruments and recordings, the archive over its folder."""
