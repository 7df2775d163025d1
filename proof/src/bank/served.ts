// The bank, as processes serve it.
export { default } from './system.ts'

export const gateway = { basePath: '/api' }
