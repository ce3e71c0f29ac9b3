"""Prices in cents of a euro, and what a euro is worth."""

PRICES = {"tea": 450, "teapot": 2900, "cup": 850}
RATES = {"EUR": 1.0, "USD": 1.1}


def in_currency(cents, currency):
    return round(cents * RATES[currency] / 100, 2)
