"""Commands of the hub's processes: `hub up`, `status`, `worker`, `processes`, `alerts`, `config`."""
