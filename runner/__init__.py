"""Runner host: owns the pools of one machine; starts, feeds, drains and kills runners."""
