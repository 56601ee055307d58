"""The Python interface of community-forensics: `import community_forensics as cf`."""
