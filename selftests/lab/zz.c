int main(void){int a[2]; a[5]=1; return a[5];}
