"""The words of the service: connectors, elements, filters, credentials, environments, metainfo, outcomes."""
