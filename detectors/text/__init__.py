"""Text: its normal form, language, word pieces, encoder; the text detector."""
