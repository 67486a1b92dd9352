/** Requests that work as pasted against the demo models. */
export const SINGLE_EXAMPLE = {
  symbol: 'BTC/USDT',
  timestamp: '2024-01-15T10:30:00Z',
  features: { price: 45000.0, volume: 1000000.0, rsi: 65.5 },
  model_version: 'latest',
};

export const BATCH_EXAMPLE = {
  requests: [
    { symbol: 'BTC/USDT', features: { price: 45000.0, volume: 1000000.0, rsi: 65.5, macd: 120.5 } },
    { symbol: 'ETH/USDT', features: { price: 2500.0, volume: 800000.0, rsi: 31.0, macd: -14.2 } },
  ],
  model: 'momentum',
};

export const MODEL_EXAMPLES = {
  features: { value: { features: { price: 45000.0, volume: 1000000.0, rsi: 65.5, macd: 120.5 } } },
  tensors: { value: { inputs: { features: [[45000.0, 1000000.0, 65.5, 120.5]] } } },
};

export const INFER_EXAMPLE = {
  model_id: 'fraud_detection',
  inputs: [
    { feature1: 2.5, feature2: 1.2 },
    { feature1: 0.4, feature2: -0.7 },
  ],
};
