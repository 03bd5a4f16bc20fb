"""Forecasts of the demand: models, their choice by backtest, and calibrated intervals; no I/O, no clock."""
