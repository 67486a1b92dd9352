# Reads sets of bars as JSON, prints what TA-Lib makes of each: one list an output, null before its first value.
import json
import sys

import numpy
import talib


def outputs(bars):
    high, low, close, volume = (numpy.array(bars[name], dtype=float) for name in ("high", "low", "close", "volume"))
    line, signal, hist = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, timeperiod=20, nbdevup=2, nbdevdn=2, matype=0)
    return {
        "ema_10": talib.EMA(close, 10),
        "ema_20": talib.EMA(close, 20),
        "wilder_14": talib.RMA(close, 14),
        "rsi_14": talib.RSI(close, 14),
        "rsi_2": talib.RSI(close, 2),
        "macd.line": line,
        "macd.signal": signal,
        "macd.hist": hist,
        "bollinger.upper": upper,
        "bollinger.middle": middle,
        "bollinger.lower": lower,
        "std_20": talib.STDDEV(close, 20, 1),
        "var_20": talib.VAR(close, 20, 1),
        "atr_14": talib.ATR(high, low, close, 14),
        "obv": talib.OBV(close, volume),
        "mean_20": talib.SMA(close, 20),
        "sum_20": talib.SUM(close, 20),
        "min_20": talib.MIN(close, 20),
        "max_20": talib.MAX(close, 20),
        "returns_5": talib.ROCP(close, 5),
    }


made = {
    name: {key: [None if numpy.isnan(value) else float(value) for value in values] for key, values in outputs(bars).items()}
    for name, bars in json.load(sys.stdin).items()
}
json.dump({"talib": f"{talib.__version__} (C {talib.__ta_version__.decode().split()[0]})", "sets": made}, sys.stdout)
