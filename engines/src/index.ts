// For tests and tools that need an engine.
export { engineNames, engineUrl, type EngineName } from './url.ts'
export { startBehindProxy, startEngine } from './start.ts'
export { startCluster, type RunningCluster } from './cluster.ts'
export type { RunningEngine } from './engine.ts'
export { startProxy, type Proxy } from './proxy.ts'
export { engines } from './engines.ts'
export { oneNode, type OneNode } from './one-node.ts'
export { findPorts } from './run/ports.ts'
