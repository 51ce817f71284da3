"""Units of energy that files of jets use."""

PER_GEV = {"GeV": 1.0, "MeV": 1000.0}
