"""All modules and endpoints per owner: found in the plugin folders, inspected in runners, resolved per call."""
