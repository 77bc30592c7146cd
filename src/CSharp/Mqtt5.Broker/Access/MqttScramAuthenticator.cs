using Mqtt5.Signing;

namespace Mqtt5;

/// <summary>
/// Enhanced authentication with SCRAM-SHA-256 (RFC 5802, RFC 7677), for credentials from anywhere;
/// <see cref="MqttPasswordFile"/> does it with a file. The password never travels, the client learns whether the server
/// knows it, and unauthenticated peers do not learn which names exist. Channel binding and authorization for another name are
/// refused. The name that the client proved counts; a User Name in CONNECT is not looked at. Plain authentication is refused
/// with 0x8C, Bad authentication method. Safe to use from many threads.
/// </summary>
/// <param name="find">
/// Gives the credentials of a user name; null: the name is unknown. Called from many threads. An exception refuses
/// the client with 0x88, Server unavailable.
/// </param>
public sealed class MqttScramAuthenticator(Func<string, CancellationToken, ValueTask<MqttScramCredentials?>> find)
    : IMqttBrokerAuthenticator
{
    /// <summary>The Authentication Method.</summary>
    public const string Method = "SCRAM-SHA-256";

    private readonly UnknownUserScram unknownUserScram = new(MqttScramCredentials.DefaultIterations);

    /// <summary>
    /// The number of iterations sent for unknown user names; as many as the known credentials have, so that unknown names
    /// cannot be told apart. Default: 600,000.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 4,096 to 10,000,000.</exception>
    public int Iterations
    {
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, MqttScramCredentials.FewestIterations);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, MqttScramCredentials.MostIterations);
            unknownUserScram = new UnknownUserScram(value);
        }
    }

    /// <inheritdoc/>
    public ValueTask<MqttAuthenticationResult> AuthenticateAsync(
        MqttAuthenticationContext context, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context.Method == Method
            ? ScramExchange.StepAsync(context, find, unknownUserScram, cancellationToken)
            : new(MqttAuthenticationResult.Refused(ReasonCode.BadAuthenticationMethod));
    }
}
