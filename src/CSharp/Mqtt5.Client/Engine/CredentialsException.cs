namespace Mqtt5.Engine;

// The callback for credentials, or the authenticator, failed.
internal sealed class CredentialsException(Exception inner) : Exception(inner.Message, inner);
