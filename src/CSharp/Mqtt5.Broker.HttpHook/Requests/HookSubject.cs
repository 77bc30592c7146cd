namespace Mqtt5.HttpHook.Requests;

// What a question is about.
internal enum HookSubject
{
    Authentication,
    Authorization,
}
