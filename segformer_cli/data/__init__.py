"""Pictures and masks as data sets lay them out, and what training does to them."""
