export { default } from './fixture-system.ts'

// A system whose module keeps its process from ending.
setInterval(() => {}, 60_000)
