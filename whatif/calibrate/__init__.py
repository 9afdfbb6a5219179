"""How often each verdict is given on markets whose truth is known."""
