/** A view and a set that work as pasted; the push of the examples goes into the stream of the view. */
export const VIEW_EXAMPLE = {
  kind: 'FeatureView',
  name: 'btc_technical',
  entity: { name: 'symbol', type: 'string' },
  streams: [
    {
      name: 'candles_1m',
      identity: 'event_time',
      fields: { open: 'double', high: 'double', low: 'double', close: 'double', volume: 'double' },
      allowed_lateness: '10m',
    },
  ],
  features: [
    { name: 'price', op: 'last', input: 'close', ttl: '90s' },
    { name: 'rsi', op: 'rsi', input: 'close', period: 14 },
  ],
};

export const SET_EXAMPLE = {
  kind: 'FeatureSet',
  name: 'btc_direction_inputs',
  features: ['btc_technical:price', 'btc_technical:rsi'],
  on_missing: 'error',
};
