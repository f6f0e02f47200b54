"""Pictures as people have them: finding, decoding and segmenting them, and writing their masks."""
