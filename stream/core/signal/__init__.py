"""Signal: scored windows become incidents that open, update and resolve."""
