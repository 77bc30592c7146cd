using System.ComponentModel;
using System.Net.Sockets;
using System.Security;
using System.Security.Authentication;
using System.Security.Cryptography;

namespace Mqtt5.Cli;

/// <summary>
/// Tells what the user, the machine or the network did wrong from what the command did. Only the latter is called a defect.
/// </summary>
internal static class Failure
{
    /// <summary>A line for people about a failure that is no defect; null: it is one.</summary>
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

    // What is wrapped says what happened.
    private static string MessageOf(Exception exception) =>
        exception.Message.Contains("inner exception", StringComparison.OrdinalIgnoreCase) && exception.InnerException is { } inner
            ? MessageOf(inner)
            : exception.Message;
}
