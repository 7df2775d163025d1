// For tests that crash a PostgreSQL server of their own, or cut the way to one.
export { startServer, type Server } from './server.ts'
export { startProxy, type Proxy } from './proxy.ts'
