// For code that starts a system.
export { createGateway, type Gateway, type Served } from './gateway/gateway.ts'
export { defaultLimits, type CorsOptions, type GatewayLimits, type GatewayOptions } from './gateway/options.ts'
export type { GatewayRequest, GatewayResponse } from './gateway/exchange.ts'
