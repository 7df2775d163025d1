// For tests that need an engine.
export { engineNames, engineUrl, type EngineName } from './url.ts'
