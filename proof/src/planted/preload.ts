import type { PlantedBug } from './bugs.ts'
import { plant } from './plant.ts'

// Plants a bug in a process before anything else is loaded: node --import planted/preload.ts

const bug = process.env['ATOLL_PLANTED']
if (bug !== undefined) plant(JSON.parse(bug) as PlantedBug) // catch.ts wrote it
