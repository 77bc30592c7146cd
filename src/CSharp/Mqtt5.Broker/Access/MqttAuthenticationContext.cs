using System.Security.Cryptography.X509Certificates;

namespace Mqtt5;

/// <summary>What a client sent to be authenticated. The same object serves all steps of a connection.</summary>
public sealed class MqttAuthenticationContext
{
    internal MqttAuthenticationContext(Connect connect, string? endPoint, X509Certificate2? certificate, bool isInProcess, string? listener = null)
    {
        ClientId = connect.ClientId.IsSome ? connect.ClientId.Value.Text : null;
        UserName = connect.UserName.IsSome ? connect.UserName.Value.Text : null;
        // A plain null would become empty memory here, which is a password as well.
        Password = connect.Password.IsSome ? connect.Password.Value.Reveal.Memory : default(ReadOnlyMemory<byte>?);
        UserProperties = connect.Properties.UserProperties;
        EndPoint = endPoint;
        ClientCertificate = certificate;
        IsInProcess = isInProcess;
        Listener = listener;
        Take(connect.Properties.Authentication.IsSome ? connect.Properties.Authentication.Value : null);
    }

    /// <summary>The Client Identifier; null: the broker is to assign one.</summary>
    public string? ClientId { get; }

    /// <summary>The User Name; null: there is none.</summary>
    public string? UserName { get; }

    /// <summary>The Password; null: there is none. Never log it.</summary>
    public ReadOnlyMemory<byte>? Password { get; }

    /// <summary>The User Properties of CONNECT.</summary>
    public UserProperties UserProperties { get; }

    /// <summary>Where the client connects from, for people; null: not known.</summary>
    public string? EndPoint { get; }

    /// <summary>The certificate that the client proved to have in the TLS handshake; null: none.</summary>
    public X509Certificate2? ClientCertificate { get; }

    /// <summary>Whether the client is in the same process.</summary>
    public bool IsInProcess { get; }

    /// <summary>The name of the listener that the client came to; null: it has none.</summary>
    public string? Listener { get; }

    /// <summary>The Authentication Method of enhanced authentication; null: plain authentication.</summary>
    public string? Method { get; private set; }

    /// <summary>The Authentication Data of this step; null: none.</summary>
    public ReadOnlyMemory<byte>? Data { get; private set; }

    /// <summary>The step, counted from 0 for CONNECT.</summary>
    public int Step { get; private set; } = -1;

    /// <summary>Whether this AUTH begins or continues a re-authentication.</summary>
    public bool IsReauthentication { get; internal set; }

    /// <summary>
    /// Whatever the authenticator keeps from one step to the next. An authorizer gets it as <see cref="MqttClientIdentity.State"/>.
    /// </summary>
    public object? State { get; set; }

    internal void Take(Authentication? authentication)
    {
        Step++;
        Method = authentication?.Method.Text;
        Data = authentication is { Data.IsSome: true } ? authentication.Data.Value.Reveal.Memory : default(ReadOnlyMemory<byte>?);
    }
}
