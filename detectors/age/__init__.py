"""Age as a distribution over years: signals of a profile in, a calibrated distribution, gates and an interval out."""
