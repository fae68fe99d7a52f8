"""The vocabulary of the service: connectors, elements, filters, credentials, environments, metainfo and outcomes."""
