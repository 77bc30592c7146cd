namespace Mqtt5.Cli;

/// <summary>Something did not happen as it should have; the message says what.</summary>
internal sealed class DemoException(string message) : Exception(message);
