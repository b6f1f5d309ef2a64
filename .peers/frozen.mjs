// Loaded with `node --import ./frozen.mjs SERVER`: what a server says of the time of day and what it chooses by
// chance is always the same, so that two runs can be compared byte for byte. Timers run as ever.
const noon = '2025-11-25T12:00:00.000Z';

Date.prototype.toISOString = () => noon;
Date.prototype.toLocaleTimeString = () => '12:00:00 PM';
Math.random = () => 0.5;
