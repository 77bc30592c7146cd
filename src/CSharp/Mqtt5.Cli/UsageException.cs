namespace Mqtt5.Cli;

/// <summary>The input cannot be used; the message says which and why.</summary>
internal sealed class UsageException(string message) : Exception(message);
