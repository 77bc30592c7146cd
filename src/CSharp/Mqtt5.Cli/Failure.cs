using System.ComponentModel;
using System.Net.Sockets;
using System.Security;
using System.Security.Authentication;
using System.Security.Cryptography;

namespace Mqtt5.Cli;

/// <summary>
/// Distinguishes errors of the user, the machine or the network from defects of the command.
/// </summary>
internal static class Failure
{
    /// <summary>A one-line message for a failure that is not a defect; null: it is a defect.</summary>
    public static string? Describe(Exception exception) =>
        exception switch
        {
            UsageException or MqttException or CryptographicException or AuthenticationException or HttpRequestException
                or SocketException or SecurityException or TimeoutException or Win32Exception => exception.Message,
            UnauthorizedAccessException => exception.Message,
            IOException => MessageOf(exception),
            OutOfMemoryException => "there is not enough memory",
            AggregateException { InnerExceptions: [var only] } => Describe(only),
            _ => null,
        };

    // The inner exception has the cause.
    private static string MessageOf(Exception exception) =>
        exception.Message.Contains("inner exception", StringComparison.OrdinalIgnoreCase) && exception.InnerException is { } inner
            ? MessageOf(inner)
            : exception.Message;
}
