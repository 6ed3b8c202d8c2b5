"""Object stores to test on: servers, a proxy that injects faults, a campaign of builds through it."""
