// For tests that crash a PostgreSQL server of their own, and start it again with other settings than the promises need.
export { startServer, type Server } from './server.ts'
