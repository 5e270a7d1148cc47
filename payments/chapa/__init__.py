"""The vendor, alone: nothing else in the system knows how Chapa spells anything."""
