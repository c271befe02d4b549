"""The backends that build a plan with real machinery: `netns` here, containers one day; `lab.sim` needs none."""
