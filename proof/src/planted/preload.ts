import { plant } from './plant.ts'

// Plants a bug in a process before anything else is loaded: node --import planted/preload.ts

const name = process.env['ATOLL_PLANTED']
if (name !== undefined) plant(name)
