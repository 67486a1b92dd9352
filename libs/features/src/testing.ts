export { barsOf, indicatorAt, MARKETS, tolerance } from './operators/testing';
