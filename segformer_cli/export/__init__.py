"""Files for other runtimes: writing them, running them, and checking that they compute what the network computes."""
