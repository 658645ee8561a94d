"""Age models at their gates, one against another, on people whom neither has learnt from: figures and a report."""
