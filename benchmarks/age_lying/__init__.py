"""How age gates hold on simulated accounts when people lie about their age, signals go missing, and habits change."""
